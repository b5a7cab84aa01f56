"""Who names a defect of known outline best: CASAE's compact CNN, or features with a perceptron."""
