# By farm/role/policy.
terraform import farmhand_scaling_policy.load shop/web/load_average
