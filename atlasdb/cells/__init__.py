"""Tables of cells joined with an atlas: counting them, and finding what is at each."""
