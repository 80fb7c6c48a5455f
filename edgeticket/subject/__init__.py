"""A model as the user gave it: opened, tried once, ready to be measured."""
