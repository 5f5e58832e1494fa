"""What a patient's words mean, by rules: spelling, dates, slots, yes or no, intents. Pure; imports no client."""
