"""The tests. A package, so that what a folder's tests share (``scope="package"``) ends with the last of them."""
