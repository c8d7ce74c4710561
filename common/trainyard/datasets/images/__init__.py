"""Images: from files to arrays of pixels and labels."""
