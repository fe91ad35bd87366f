"""Logistic regression as statistics: data, and the maximum of the likelihood."""
