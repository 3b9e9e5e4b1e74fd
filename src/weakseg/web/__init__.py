"""The page: photographs of a folder are labelled in a browser, and masks come back at once."""
