"""How HTTP says it: routes, requests in, replies and streams out. No SQL, no engine, no rule of the contract."""
