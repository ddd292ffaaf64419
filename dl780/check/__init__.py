"""A question is a forward function; autograd is its answer key."""
