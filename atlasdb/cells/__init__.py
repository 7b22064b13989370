"""Tables of points joined with an atlas: reading them, and finding what is at each."""
