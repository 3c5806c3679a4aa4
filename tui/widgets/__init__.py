"""The panels of the screen, one a file.  Each shows values it is given and knows nothing of jobs."""
