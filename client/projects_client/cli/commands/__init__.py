"""What can be said on the command line: a module for each noun."""
