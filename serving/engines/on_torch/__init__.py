"""What engines on torch share. Nothing here is imported where there is no torch."""
