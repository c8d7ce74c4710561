"""XGBoost and LightGBM behind Trainyard's `/train`."""
