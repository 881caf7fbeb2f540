"""Who answers: everything that turns a request into a completion."""
