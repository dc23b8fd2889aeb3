"""Charts of the report: SVG in the page's own colours, drawn by matplotlib without a display."""
