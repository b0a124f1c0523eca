"""What an operator does around running a node: make its files, check it before it goes live, read its past rounds."""
