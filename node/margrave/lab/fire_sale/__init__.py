"""`margrave cascade`: a file of positions under a shock, as a table, a drawing and one JSON object."""
