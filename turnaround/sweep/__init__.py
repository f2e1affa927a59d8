"""Many runs out of one question: settings to try, a way to choose them, what became of each."""
