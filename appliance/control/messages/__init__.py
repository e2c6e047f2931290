"""The typed messages between the processes and the command line, a file for each matter."""
