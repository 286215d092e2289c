//! Writes an image.
