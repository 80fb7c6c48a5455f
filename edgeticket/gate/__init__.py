"""The gate: one model against another on this host, judged; and the forms in which others read the verdict."""
