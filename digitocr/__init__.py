"""digitocr: scanned cheques and forms into a table of numbers with confidences."""

__version__ = "0.1.0"
