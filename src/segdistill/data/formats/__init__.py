"""One file per dataset layout, named as configs name it."""
