"""How the pocket model is made: corpus, network, training, export, scores. Not in the wheel."""
