"""The account function: what a key may use, and what it has used."""
