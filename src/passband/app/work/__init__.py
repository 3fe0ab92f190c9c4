"""The work of the page: requests that worker processes answer, and the queue that hands them out."""
