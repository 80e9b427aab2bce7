# By the farm's name.
terraform import farmhand_farm.shop shop
