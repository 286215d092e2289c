-- The request that an image came by, so that the same can be asked again: JSON, or NULL where it is not known.
ALTER TABLE image_name ADD COLUMN request TEXT;
