"""The implied surface: who fills its holes, values its options, and says where it goes."""
