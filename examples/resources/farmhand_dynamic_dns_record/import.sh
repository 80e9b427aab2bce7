# By farm/name.
terraform import farmhand_dynamic_dns_record.db shop/db
