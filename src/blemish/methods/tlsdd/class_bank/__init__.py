"""Class bank: a row of numbers for each class, made from boxed examples; numpy alone."""
