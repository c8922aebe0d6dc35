"""Who is calling: authenticators and the registry of users."""
