"""The networks: an autoencoder for an alert, a recurrent network for an object."""
