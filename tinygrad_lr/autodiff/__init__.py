"""How derivatives work: rules, the graph, Tensor, and derivatives of functions."""
