"""AlphaGo in small: policy, value and tree search on any board that OpenSpiel knows (Silver et al. 2016, 2017)."""
