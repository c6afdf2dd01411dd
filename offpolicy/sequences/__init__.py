"""Sessions and returning shoppers: what a policy would be worth when what it shows decides what happens next."""
