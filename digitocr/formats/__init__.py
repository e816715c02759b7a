"""Readers of the file formats behind ``digitocr.ingest``, which alone imports them.

files        paths -> documents, and their bytes
picture      bytes of a picture file -> upright pages
    jpeg, modes, resolution
pdf          bytes of a PDF -> upright pages
    pdf_layout, pdf_streams, poppler
complaints   what C libraries say on standard error
"""
