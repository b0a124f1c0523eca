"""The npm package @margrave/contracts: what of it is generated, and how it is built."""
