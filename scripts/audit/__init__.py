"""Audit: what is known of vulnerabilities in the packages that are installed here."""
