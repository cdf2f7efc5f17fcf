"""The 4DVarNet and its relatives: networks with the scaling and the labels that data need."""
