"""What it means: the rules, pure. No clock, no chance, no input and no output lives here."""
