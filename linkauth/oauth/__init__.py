"""OAuth as values: tokens, requests, answers and the grants between them. Nothing here waits or looks at a clock."""
