"""HTTP: requests and answers as clients see them, and what errors become."""
