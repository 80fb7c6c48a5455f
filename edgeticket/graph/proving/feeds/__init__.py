"""What a network is run on when it came without a test set: inputs made up from what its graph says of them."""
