"""Running the labs without a browser: notebooks, their execution, the report, the book."""
