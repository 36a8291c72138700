"""What a project is and who may do what with it."""
