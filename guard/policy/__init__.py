"""What to say and what may be spent: pure functions of assessments, memory, rules and `now`, each with its reason."""
