# By farm/role. Write-only values are not imported.
terraform import farmhand_role.web shop/web
