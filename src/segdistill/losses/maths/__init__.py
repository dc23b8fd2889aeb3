"""What several losses compute alike."""
