"""Charts of the report, drawn by matplotlib without a display as SVG in the page's own colours."""
